// Package s3blob registers no driver: `pulumi login s3://…` fails with the schemes that this build has.
package s3blob
