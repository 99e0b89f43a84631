// The Gateway API's definitions; nothing is built from it.
module addressbook.lab/toolchain/gateway-api

go 1.26.0

require sigs.k8s.io/gateway-api v1.4.1
