//go:build gcs

package store

import _ "gocloud.dev/blob/gcsblob" // registers gs://

func init() { kinds["gs"] = registered() }
