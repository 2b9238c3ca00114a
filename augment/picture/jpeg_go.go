//go:build !turbojpeg || !cgo

package picture

import "finetune/internal/jpeg"

// Decoder names the JPEG decoder built in: its pixels differ a little from the
// other's, so the name is part of augment.Preprocess.String and of every cache key.
const Decoder = "go"

// fastJPEG is the decoder of the turbojpeg build; here there is none.
func fastJPEG([]byte, *jpeg.Header, Limits) *Image { return nil }
