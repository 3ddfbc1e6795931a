module tools/goregex

go 1.26.0
