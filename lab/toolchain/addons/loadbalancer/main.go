// Assigns addresses to Services of type LoadBalancer, as a cloud's controller does: Kubernetes' own service controller
// (events, finalizers, load balancer classes, retries) over a "cloud" whose balancers are addresses of a range.
// kube-proxy on the node handles these addresses; the lab routes the range to the node.
package main

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/cloud-provider/controllers/service"
	"k8s.io/component-base/featuregate"
	controllersmetrics "k8s.io/component-base/metrics/prometheus/controllers"
	"k8s.io/klog/v2"
)

func main() {
	kubeconfig := flag.String("kubeconfig", "", "file with the credentials for the cluster")
	addresses := flag.String("range", "", "addresses to give away, as a CIDR: 10.203.1.0/24")
	cluster := flag.String("cluster-name", "addressbook-lab", "name of the cluster in events")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig, *addresses, *cluster); err != nil {
		klog.ErrorS(err, "The controller for load balancer addresses can't go on")
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, addresses, cluster string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	balancers, err := newAddresses(addresses)
	if err != nil {
		return err
	}
	if err := balancers.recall(ctx, client); err != nil {
		return err
	}
	shared := informers.NewSharedInformerFactory(client, 0)
	core := shared.Core().V1()
	controller, err := service.New(cloud{balancers}, client, core.Services(), core.Nodes(), cluster, featuregate.NewFeatureGate())
	if err != nil {
		return err
	}
	shared.Start(ctx.Done())
	const workers = 4
	controller.Run(ctx, workers, controllersmetrics.NewControllerManagerMetrics("loadbalancer"))
	return nil
}
