// Package s3 has the one type that Pulumi's file backend mentions.
package s3

type CopyObjectInput struct{ CopySource *string }
