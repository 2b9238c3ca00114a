//go:build azure

package store

import _ "gocloud.dev/blob/azureblob" // registers azblob://

func init() { kinds["azblob"] = registered() }
