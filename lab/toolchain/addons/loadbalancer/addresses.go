package main

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	cloudprovider "k8s.io/cloud-provider"
)

// addresses assigns each Service the lowest free address of a range. The Services' status keeps the assignments;
// they are read from there at the start.
type addresses struct {
	mutex sync.Mutex
	pool  netip.Prefix
	given map[types.UID]netip.Addr
}

func newAddresses(pool string) (*addresses, error) {
	prefix, err := netip.ParsePrefix(pool)
	if err != nil {
		return nil, fmt.Errorf("-range %q is not a CIDR such as 10.203.1.0/24: %w", pool, err)
	}
	return &addresses{pool: prefix.Masked(), given: map[types.UID]netip.Addr{}}, nil
}

func (a *addresses) recall(ctx context.Context, client kubernetes.Interface) error {
	services, err := client.CoreV1().Services(metav1.NamespaceAll).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for _, service := range services.Items {
		for _, ingress := range service.Status.LoadBalancer.Ingress {
			address, err := netip.ParseAddr(ingress.IP)
			if err == nil && a.pool.Contains(address) && !a.taken(address) {
				a.given[service.UID] = address
			}
		}
	}
	return nil
}

func (a *addresses) taken(address netip.Addr) bool {
	for _, other := range a.given {
		if other == address {
			return true
		}
	}
	return false
}

func (a *addresses) choose(service *v1.Service) (netip.Addr, error) {
	if wanted := service.Spec.LoadBalancerIP; wanted != "" {
		address, err := netip.ParseAddr(wanted)
		if err != nil || !a.pool.Contains(address) {
			return netip.Addr{}, fmt.Errorf("spec.loadBalancerIP %q is not an address of %s", wanted, a.pool)
		}
		if a.taken(address) {
			return netip.Addr{}, fmt.Errorf("spec.loadBalancerIP %s is another Service's address already", wanted)
		}
		return address, nil
	}
	// The range's first address names the network and its last is the broadcast address: neither is assigned.
	for address := a.pool.Addr().Next(); a.pool.Contains(address.Next()); address = address.Next() {
		if !a.taken(address) {
			return address, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("all addresses of %s are given: delete a Service of type LoadBalancer", a.pool)
}

func status(address netip.Addr) *v1.LoadBalancerStatus {
	mode := v1.LoadBalancerIPModeVIP
	return &v1.LoadBalancerStatus{Ingress: []v1.LoadBalancerIngress{{IP: address.String(), IPMode: &mode}}}
}

func (a *addresses) GetLoadBalancer(_ context.Context, _ string, service *v1.Service) (*v1.LoadBalancerStatus, bool, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	address, exists := a.given[service.UID]
	if !exists {
		return nil, false, nil
	}
	return status(address), true, nil
}

func (a *addresses) GetLoadBalancerName(_ context.Context, _ string, service *v1.Service) string {
	return cloudprovider.DefaultLoadBalancerName(service)
}

func (a *addresses) EnsureLoadBalancer(_ context.Context, _ string, service *v1.Service, _ []*v1.Node) (*v1.LoadBalancerStatus, error) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	address, exists := a.given[service.UID]
	if wanted := service.Spec.LoadBalancerIP; exists && (wanted == "" || wanted == address.String()) {
		return status(address), nil
	}
	address, err := a.choose(service)
	if err != nil {
		return nil, err
	}
	a.given[service.UID] = address
	return status(address), nil
}

// UpdateLoadBalancer does nothing: kube-proxy follows the endpoints itself.
func (a *addresses) UpdateLoadBalancer(context.Context, string, *v1.Service, []*v1.Node) error {
	return nil
}

func (a *addresses) EnsureLoadBalancerDeleted(_ context.Context, _ string, service *v1.Service) error {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	delete(a.given, service.UID)
	return nil
}
