// Package authhelpers has no Google Cloud credentials.
package authhelpers

import (
	"context"
	"errors"

	"gocloud.dev/blob"
)

func GoogleCredentialsMux(context.Context) (*blob.URLMux, error) {
	return nil, errors.New("this Pulumi was built without Google Cloud support; install the official one")
}
