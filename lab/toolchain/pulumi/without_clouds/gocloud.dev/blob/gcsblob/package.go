// Package gcsblob has no driver; see authhelpers, which opens gs:// URLs.
package gcsblob

const Scheme = "gs"
