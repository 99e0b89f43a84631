// CoreDNS with the plugins that the lab's Corefile names and no others: a fraction of the size and of the build.
package main

import (
	"slices"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/auto"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

// plugins in the order in which CoreDNS chains them (the order of its own plugin.cfg).
var plugins = []string{"bind", "health", "ready", "errors", "cache", "kubernetes", "auto"}

func main() {
	dnsserver.Directives = slices.Clone(plugins)
	coremain.Run()
}
