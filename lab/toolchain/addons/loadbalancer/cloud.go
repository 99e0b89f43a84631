package main

import cloudprovider "k8s.io/cloud-provider"

// cloud is a provider of load balancers only.
type cloud struct{ balancers *addresses }

func (c cloud) LoadBalancer() (cloudprovider.LoadBalancer, bool) { return c.balancers, true }
func (c cloud) ProviderName() string                             { return "addressbook-lab" }
func (c cloud) HasClusterID() bool                               { return true }

func (c cloud) Initialize(cloudprovider.ControllerClientBuilder, <-chan struct{}) {}
func (c cloud) Instances() (cloudprovider.Instances, bool)                        { return nil, false }
func (c cloud) InstancesV2() (cloudprovider.InstancesV2, bool)                    { return nil, false }
func (c cloud) Zones() (cloudprovider.Zones, bool)                                { return nil, false }
func (c cloud) Clusters() (cloudprovider.Clusters, bool)                          { return nil, false }
func (c cloud) Routes() (cloudprovider.Routes, bool)                              { return nil, false }
