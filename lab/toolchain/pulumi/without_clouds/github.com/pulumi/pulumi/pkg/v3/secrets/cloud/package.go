// Package cloud has no secrets providers: awskms, azurekeyvault, gcpkms and hashivault return an error.
package cloud

import (
	"encoding/json"
	"errors"

	"github.com/pulumi/pulumi/pkg/v3/secrets"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
)

const Type = "cloud"

var errMissing = errors.New("this Pulumi was built without cloud secrets providers; install the official one")

func EditProjectStack(*workspace.ProjectStack, json.RawMessage) error { return errMissing }

func NewCloudSecretsManagerFromState(json.RawMessage) (secrets.Manager, error) {
	return nil, errMissing
}

func NewCloudSecretsManager(*workspace.ProjectStack, string, bool) (secrets.Manager, error) {
	return nil, errMissing
}
