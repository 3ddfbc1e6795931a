// Prints those lines of its input that match an expression anywhere, as Flux's exclusionList does.
package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
)

func main() {
	expression, err := regexp.Compile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if expression.MatchString(lines.Text()) {
			fmt.Println(lines.Text())
		}
	}
}
