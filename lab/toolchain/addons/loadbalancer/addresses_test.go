package main

import (
	"context"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
)

func requested(name string, wanted string) *v1.Service {
	return &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID(name)},
		Spec:       v1.ServiceSpec{Type: v1.ServiceTypeLoadBalancer, LoadBalancerIP: wanted},
	}
}

func pool(t *testing.T, addresses string) *addresses {
	t.Helper()
	made, err := newAddresses(addresses)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func give(t *testing.T, from *addresses, to *v1.Service) string {
	t.Helper()
	given, err := from.EnsureLoadBalancer(context.Background(), "lab", to, nil)
	if err != nil {
		t.Fatal(err)
	}
	return given.Ingress[0].IP
}

func TestEachServiceHasTheLowestFreeAddressAndKeepsIt(t *testing.T) {
	from := pool(t, "10.0.0.0/24")
	if got := give(t, from, requested("a", "")); got != "10.0.0.1" {
		t.Fatalf("a has %s", got)
	}
	if got := give(t, from, requested("b", "")); got != "10.0.0.2" {
		t.Fatalf("b has %s", got)
	}
	if got := give(t, from, requested("a", "")); got != "10.0.0.1" {
		t.Fatalf("a has %s the second time", got)
	}
	if err := from.EnsureLoadBalancerDeleted(context.Background(), "lab", requested("a", "")); err != nil {
		t.Fatal(err)
	}
	if _, exists, _ := from.GetLoadBalancer(context.Background(), "lab", requested("a", "")); exists {
		t.Fatal("a still has an address after its removal")
	}
	if got := give(t, from, requested("c", "")); got != "10.0.0.1" {
		t.Fatalf("the freed address was not given again: c has %s", got)
	}
}

func TestAnAddressMayBeAskedFor(t *testing.T) {
	from := pool(t, "10.0.0.0/24")
	if got := give(t, from, requested("a", "10.0.0.77")); got != "10.0.0.77" {
		t.Fatalf("a has %s", got)
	}
	for wanted, reason := range map[string]string{"10.0.0.77": "another Service's", "10.9.9.9": "not an address of", "x": "not an address of"} {
		_, err := from.EnsureLoadBalancer(context.Background(), "lab", requested("b", wanted), nil)
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Fatalf("%s: %v", wanted, err)
		}
	}
}

func TestARangeThatIsUsedUpSaysSo(t *testing.T) {
	from := pool(t, "10.0.0.0/30") // two addresses between those of the network and of broadcast
	give(t, from, requested("a", ""))
	give(t, from, requested("b", ""))
	if _, err := from.EnsureLoadBalancer(context.Background(), "lab", requested("c", ""), nil); err == nil {
		t.Fatal("a third address was given out of two")
	}
}

func TestARestartRecallsWhatWasGiven(t *testing.T) {
	served := requested("a", "")
	served.Status.LoadBalancer = *status(pool(t, "10.0.0.0/24").pool.Addr().Next().Next())
	from := pool(t, "10.0.0.0/24")
	if err := from.recall(context.Background(), fake.NewClientset(served)); err != nil {
		t.Fatal(err)
	}
	if got := give(t, from, requested("a", "")); got != "10.0.0.2" {
		t.Fatalf("a had 10.0.0.2 and has %s after a restart", got)
	}
	if got := give(t, from, requested("b", "")); got != "10.0.0.1" {
		t.Fatalf("b has %s", got)
	}
}
