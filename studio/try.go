package studio

import (
	"context"
	"io"
	"net/http"

	"finetune/internal/failure"
	"finetune/learner/features"
)

const nearest = 6 // labelled photographs beside one that is tried

// try judges a photograph that the page was given. Nothing of it is kept.
func (v *Server) try(w http.ResponseWriter, r *http.Request) {
	if v.Embed == nil || !v.s.State().Ready {
		fail(w, failure.Usagef("studio: features are still computed; try again in a moment"))
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		fail(w, err)
		return
	}
	v.trying.Lock() // one at a time: a body takes all processors
	defer v.trying.Unlock()
	var row []float32
	if err := failure.Guard(func() (err error) { row, err = v.Embed(r.Context(), data); return err }); err != nil {
		fail(w, failure.Data(err))
		return
	}
	verdict, err := v.s.Judge(row, nearest)
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, verdict)
}

// embed runs the body on one photograph.
func (st *Studio) embed(ctx context.Context, data []byte) ([]float32, error) {
	s, body := st.setup, st.setup.LazyBody()
	side := s.Config.Images.Size
	image, row := make([]float32, 3*side*side), make([]float32, body.Features())
	if err := s.Preprocess.Load(image, data, s.Limits(ctx)); err != nil {
		return nil, err
	}
	if err := body.Run(ctx, image, 1, row); err != nil {
		return nil, err
	}
	if why := features.NotNumbers(row); why != "" {
		return nil, failure.Usagef("studio: %s", why)
	}
	return row, nil
}
