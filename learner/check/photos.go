package check

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"finetune/audit"
	"finetune/augment/picture"
	"finetune/dataset"
	"finetune/internal/digest"
	"finetune/internal/jpeg"
	"finetune/internal/parallel"
	"finetune/internal/reading"
	"finetune/learner/features"
)

// look reads each photograph once more, for what the network does not see: facts of its
// file, measures of its pixels, and a small picture to compare with others.
func look(ctx context.Context, s *features.Setup, items []dataset.Item) ([]audit.Facts, []audit.Picture, error) {
	facts, pictures := make([]audit.Facts, len(items)), make([]audit.Picture, len(items))
	limits := s.Limits(ctx)
	limits.MinSide = 2 * audit.PictureSide
	show, end := s.UI.Progress("audit", "photographs")
	defer end()
	var done atomic.Int64
	parallel.For(len(items), s.Config.Machine.Workers, func(i int) {
		if ctx.Err() == nil {
			facts[i], pictures[i] = lookAt(items[i].File, limits)
			show(int(done.Add(1)), len(items))
		}
	})
	return facts, pictures, context.Cause(ctx)
}

// What the closing lines of a training look at: of few photographs all, of more those of the likest pairs; and of
// pairs the most alike across the splits and within them, of so many photographs each.
const (
	mostBriefly = 5000
	alikeEnough = .85
	mostPaired  = 200
)

// lookBriefly is look of the photographs that closing lines need, with the pairs that are worth comparing.
func (p *photographs) lookBriefly(ctx context.Context) (err error) {
	p.likest()
	if len(p.items) <= mostBriefly {
		p.facts, p.pictures, err = look(ctx, p.setup, p.items)
		return err
	}
	p.pictures = make([]audit.Picture, len(p.items))
	limits := p.setup.Limits(ctx)
	limits.MinSide = 2 * audit.PictureSide
	for _, q := range p.pairs {
		for _, i := range [2]int{q.A, q.B} {
			if p.pictures[i] == nil && ctx.Err() == nil {
				_, p.pictures[i] = lookAt(p.items[i].File, limits)
			}
		}
	}
	return context.Cause(ctx)
}

// likest leaves the pairs that are the most alike.
func (p *photographs) likest() {
	var kept []audit.Pair
	for _, across := range []bool{true, false} {
		pairs := slices.DeleteFunc(slices.Clone(p.pairs), func(q audit.Pair) bool {
			return q.Cosine < alikeEnough || p.across(q) != across
		})
		slices.SortStableFunc(pairs, func(a, b audit.Pair) int { return cmp.Compare(b.Cosine, a.Cosine) })
		seen := map[int]bool{}
		for _, q := range pairs {
			if len(seen) >= mostPaired {
				p.partly = p.partly || !across
				break
			}
			kept = append(kept, q)
			seen[q.A], seen[q.B] = true, true
		}
	}
	p.pairs = kept
}

// across reports whether a pair is of training and of what is held out.
func (p *photographs) across(q audit.Pair) bool { return (q.A < p.train) != (q.B < p.train) }

// lookAt is look of one file. What cannot be read any more stays unknown: features were
// computed of it, so it was readable before.
func lookAt(file string, limits picture.Limits) (audit.Facts, audit.Picture) {
	data, err := reading.File(file, reading.MaxPhoto)
	if err != nil {
		return audit.Facts{}, nil
	}
	f := fileFacts(data)
	im, err := picture.Decode(data, limits)
	if err != nil {
		return f, nil
	}
	g := im.Geometry()
	f.Width, f.Height = g.FullW, g.FullH
	f.Pixels = audit.MeasurePixels(im.Pix, im.Width, im.Height)
	return f, audit.Shrink(im.Pix, im.Width, im.Height, audit.PictureSide, audit.PictureSide)
}

// fileFacts are those that the bytes of a file tell undecoded.
func fileFacts(data []byte) audit.Facts {
	f := audit.Facts{Bytes: int64(len(data)), Format: strings.TrimPrefix(http.DetectContentType(data), "image/")}
	if f.Format == "jpeg" {
		readSegments(data, &f)
	} else {
		head := string(data[:min(len(data), 1<<16)])
		f.EXIF = strings.Contains(head, "eXIf") || strings.Contains(head, "EXIF") || strings.Contains(head, "Exif\x00\x00")
	}
	return f
}

// readSegments reads a JPEG's segments as far as the picture itself.
func readSegments(data []byte, f *audit.Facts) {
	const tables, exif = 0xdb, 0xe1
	var all []byte
	for marker, body := range jpeg.Segments(data) {
		switch {
		case marker == tables:
			all = append(all, body...)
		case marker == exif && strings.HasPrefix(string(body), "Exif"):
			f.EXIF = true
		}
	}
	if len(all) < 65 {
		return
	}
	f.Compression = digest.Of(hex.EncodeToString(all))[:8]
	if all[0]>>4 == 0 { // 8 bits
		for _, v := range all[1:65] {
			f.Quantum += float64(v) / 64
		}
		return
	}
	for k := 1; k+1 < len(all) && k < 129; k += 2 {
		f.Quantum += float64(binary.BigEndian.Uint16(all[k:])) / 64
	}
}
