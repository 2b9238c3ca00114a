package store

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"gocloud.dev/blob"

	"finetune/internal/failure"
)

// address is a URL taken apart.
type address struct {
	scheme, bucket string
	prefix         string // within the bucket, "" or ending in a slash
	query          url.Values
}

// kinds are the object stores of this build, by the scheme of their URLs.
var kinds = map[string]kind{"s3": s3}

// options are what a URL may ask for; credentials are no options.
var options = map[string][]string{
	"s3":     {"anonymous", "disable_https", "endpoint", "profile", "region", "use_path_style"},
	"gs":     {"anonymous"},
	"azblob": {"domain", "localemu", "protocol", "storage_account"},
}

// tags are the builds that others need.
var tags = map[string]string{"gs": "gcs", "azblob": "azure"}

func openBucket(ctx context.Context, place string) (Store, error) {
	a, err := parse(place)
	if err != nil {
		return nil, failure.Usage(err)
	}
	kind := kinds[a.scheme]
	opened, err := kind.open(ctx, a)
	if err != nil {
		return nil, failure.Usage(fmt.Errorf("store: %s: %w", place, err))
	}
	if a.prefix != "" {
		opened = blob.PrefixedBucket(opened, a.prefix)
	}
	return bucket{opened, place, kind}, nil
}

// parse takes a URL apart. Errors do not repeat it where it holds a secret.
func parse(place string) (a address, err error) {
	u, err := url.Parse(place)
	if err != nil {
		return a, fmt.Errorf("store: an address that is no URL: %w", err.(*url.Error).Err)
	}
	bare := u.Scheme + "://" + u.Host + u.EscapedPath()
	if u.User != nil || secret(u.Query().Get("endpoint")) {
		return a, fmt.Errorf("store: %s: a name or a password in the address; take them out: credentials come from the "+
			"environment, such as AWS_ACCESS_KEY_ID, a profile or the machine's role", bare)
	}
	allowed, known := options[u.Scheme]
	if !known {
		return a, fmt.Errorf("store: %s: %s:// is not known; name a path, or a bucket as s3://BUCKET/PATH", bare, u.Scheme)
	}
	if _, built := kinds[u.Scheme]; !built {
		return a, fmt.Errorf("store: %s: this build does not reach %s://; build finetune with -tags %s", bare, u.Scheme,
			tags[u.Scheme])
	}
	if u.Host == "" || u.Fragment != "" {
		return a, fmt.Errorf("store: %s: no address of a bucket; write %s://BUCKET/PATH", bare, u.Scheme)
	}
	a = address{scheme: u.Scheme, bucket: u.Host}
	if a.query, err = url.ParseQuery(u.RawQuery); err != nil {
		return a, fmt.Errorf("store: %s: the options behind ? cannot be read; write them as name=value&name=value", bare)
	}
	for name := range a.query {
		if !slices.Contains(allowed, name) {
			return a, fmt.Errorf("store: %s: the address has no option %q; it may have %s, and credentials come from the "+
				"platform alone", bare, name, strings.Join(allowed, ", "))
		}
	}
	if a.prefix = strings.Trim(u.Path, "/"); a.prefix != "" {
		if err := Check(a.prefix); err != nil {
			return a, err
		}
		a.prefix += "/"
	}
	return a, nil
}

// secret reports whether an address has a name or a password in it.
func secret(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err != nil || u.User != nil
}

// Divide takes the URL of a folder in a bucket apart: the URL of the bucket alone, with its
// options, and what names within it begin with, "" or ending in a slash.
func Divide(place string) (bucket, prefix string, err error) {
	a, err := parse(place)
	if err != nil {
		return "", "", failure.Usage(err)
	}
	bucket = a.scheme + "://" + a.bucket
	if len(a.query) > 0 {
		bucket += "?" + a.query.Encode()
	}
	return bucket, a.prefix, nil
}

// Join is the URL of a file or folder below the folder at place, a URL.
func Join(place, name string) string {
	at, query, asked := strings.Cut(place, "?")
	at = strings.TrimSuffix(at, "/") + "/" + (&url.URL{Path: name}).EscapedPath()
	if asked {
		at += "?" + query
	}
	return at
}
