// CoreDNS with the plugins that a cluster's Corefile names, and no other: the stock program also
// compiles in the SDKs of three clouds, which takes longer than all the rest.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/loadbalance"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

func init() {
	// The order in which a query passes them, as in the stock program.
	dnsserver.Directives = []string{
		"bind", "ready", "health", "errors", "loadbalance", "cache", "template", "kubernetes",
	}
}

func main() {
	coremain.Run()
}
