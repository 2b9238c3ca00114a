package doctor

import (
	"slices"

	"finetune/internal/fetch"
	"finetune/internal/libjpeg"
)

// decoder says which decoder JPEG files have.
func decoder() Finding {
	f := Finding{Name: "JPEG decoder"}
	lib, err := libjpeg.Loaded()
	switch {
	case err != nil:
		f.Status, f.Detail, f.Fix = Broken, err.Error(), "`finetune fetch jpeg`"
	case lib.Path == "":
		f.Status, f.Detail = Absent, "Go's own, a third as fast as libjpeg-turbo"
		if slices.Contains(fetch.Names(), "jpeg") {
			f.Fix = "`finetune fetch jpeg` (7 MB); unset FINETUNE_JPEG if it is set"
		}
	case lib.Fetched:
		f.Detail = lib.Path + ", libjpeg-turbo"
	default:
		f.Detail = lib.Path + ", libjpeg-turbo; not a build that finetune downloads: used without comparing its digest"
	}
	return f
}
