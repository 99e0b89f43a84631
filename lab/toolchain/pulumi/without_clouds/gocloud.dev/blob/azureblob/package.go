// Package azureblob has no driver; opening an azblob:// URL returns an error.
package azureblob

import (
	"context"
	"errors"
	"net/url"

	"gocloud.dev/blob"
)

const Scheme = "azblob"

type ServiceURLOptions struct{}

func NewDefaultServiceURLOptions() *ServiceURLOptions { return &ServiceURLOptions{} }

func NewDefaultClient() {}

type URLOpener struct {
	MakeClient        func()
	ServiceURLOptions ServiceURLOptions
}

func (*URLOpener) OpenBucketURL(context.Context, *url.URL) (*blob.Bucket, error) {
	return nil, errors.New("this Pulumi was built without Azure support; install the official one")
}
