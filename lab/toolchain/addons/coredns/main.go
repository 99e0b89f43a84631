// CoreDNS with only the plugins in the lab's Corefile: a fraction of the size and of the build time.
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

// plugins are in the order of CoreDNS's own plugin.cfg, in which it chains them.
var plugins = []string{"bind", "health", "ready", "errors", "cache", "kubernetes", "auto"}

func main() {
	dnsserver.Directives = slices.Clone(plugins)
	coremain.Run()
}
