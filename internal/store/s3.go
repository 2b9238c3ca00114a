package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	s3sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	gcaws "gocloud.dev/aws"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
)

// s3 are Amazon's S3 and those that speak its protocol.
var s3 = kind{
	open:     openS3,
	refused:  func(err error) bool { return code(err) == "NotImplemented" || status(err) == http.StatusNotImplemented },
	conflict: func(err error) bool { return code(err) == "ConditionalRequestConflict" },
	past:     func(err error) bool { return code(err) == "InvalidRange" },
	cause:    s3Cause,
}

func openS3(ctx context.Context, a address) (*blob.Bucket, error) {
	var flags = map[string]bool{}
	for _, name := range []string{"use_path_style", "disable_https"} {
		if text := a.query.Get(name); text != "" {
			on, err := strconv.ParseBool(text)
			if err != nil {
				return nil, fmt.Errorf("%s=%s; write true or false", name, text)
			}
			flags[name] = on
		}
		a.query.Del(name)
	}
	endpoint := a.query.Get("endpoint")
	cfg, err := gcaws.V2ConfigFromURLParams(ctx, a.query)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" && endpoint != "" { // other stores mostly have none
		cfg.Region = "us-east-1"
	}
	if cfg.Region == "" {
		return nil, errors.New("no region is known; add ?region=NAME, or set AWS_REGION")
	}
	if endpoint != "" && os.Getenv("AWS_REQUEST_CHECKSUM_CALCULATION") == "" {
		// a checksum behind the body is newer than many stores
		cfg.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	}
	client := s3sdk.NewFromConfig(cfg, func(o *s3sdk.Options) {
		if n, err := strconv.Atoi(os.Getenv("AWS_MAX_ATTEMPTS")); err == nil && n > 0 { // which gocloud.dev leaves out
			o.RetryMaxAttempts = n
		}
		o.UsePathStyle = flags["use_path_style"]
		o.EndpointOptions.DisableHTTPS = flags["disable_https"]
		o.DisableLogOutputChecksumValidationSkipped = true // a line for each file of stores without checksums
	})
	return s3blob.OpenBucket(ctx, client, a.bucket,
		&s3blob.Options{RequestChecksumCalculation: cfg.RequestChecksumCalculation})
}

// code is the service's name of an error, "" for none.
func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// status is the HTTP status of an error, 0 for none.
func status(err error) int {
	var e *awshttp.ResponseError
	if errors.As(err, &e) {
		return e.HTTPStatusCode()
	}
	return 0
}

func s3Cause(err error) string {
	switch code(err) {
	case "NoSuchBucket":
		return "there is no such bucket; create it, or check its name and the endpoint"
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken":
		return "the credentials are refused; check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the profile"
	case "RequestTimeTooSkewed", "RequestExpired":
		return "the clock of this machine is wrong; set it"
	case "PermanentRedirect", "AuthorizationHeaderMalformed":
		return "the bucket is in another region; add ?region=NAME"
	}
	if strings.Contains(err.Error(), "get identity: get credentials") { // the SDK has no type for it
		return "no credentials are found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the " +
			"machine a role; a public bucket needs ?anonymous=true"
	}
	return ""
}
