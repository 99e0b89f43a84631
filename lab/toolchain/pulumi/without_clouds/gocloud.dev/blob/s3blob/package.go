// Package s3blob opens no bucket. It registers every cloud's scheme, so that using one is a clear error.
package s3blob

import (
	"context"
	"fmt"
	"net/url"

	"gocloud.dev/blob"
)

type opener struct{}

func (opener) OpenBucketURL(_ context.Context, u *url.URL) (*blob.Bucket, error) {
	return nil, fmt.Errorf("this Pulumi was built without %s:// backends; install the official one", u.Scheme)
}

func init() {
	for _, scheme := range []string{"s3", "gs", "azblob"} {
		blob.DefaultURLMux().RegisterBucket(scheme, opener{})
	}
}
