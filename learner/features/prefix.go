package features

import (
	"context"
	"errors"
	"path/filepath"

	"finetune/activations"
	"finetune/dataset"
	"finetune/internal/plural"
	"finetune/onnx"
	"finetune/onnx/artifacts"
	"finetune/onnx/graph"
)

// PrefixView names, in the cache's key, the centre view as it leaves the frozen
// layers of a network that trains, as a map, not pooled.
const PrefixView = "centre, frozen prefix"

// OpenPrefix returns the cache of what the artifacts' prefix makes of items,
// filled; nil if they have none. Owned by the caller: the cache, freed by Close.
func (s *Setup) OpenPrefix(ctx context.Context, dir string, m artifacts.Manifest,
	items []dataset.Item) (*activations.Cache, error) {
	if m.Row == nil {
		return nil, nil
	}
	body, err := s.openPrefixModel(filepath.Join(dir, artifacts.PrefixFile), m.Input())
	if err != nil {
		return nil, err
	}
	defer body.session.Close()
	key := s.Key(PrefixView)
	key.Cut = body.cut
	if s.Config.Machine.Recompute {
		if err := activations.Drop(s.Config.Machine.Cache, key, body.Features()); err != nil {
			return nil, err
		}
	}
	cache, err := activations.Open(s.Config.Machine.Cache, key, body.Features())
	if err != nil {
		return nil, err
	}
	show, end := s.UI.Progress("prefix", "images")
	report, err := cache.Fill(ctx, items, body, s.loader(ctx, nil), s.fillOptions(show))
	end()
	if err == nil && len(report.Skipped) > 0 {
		err = PhotoChanged(dataset.Item{File: report.Skipped[0].File}, errors.New(report.Skipped[0].Reason))
	}
	if err != nil {
		return nil, errors.Join(err, cache.Close())
	}
	s.UI.Say("prefix     %s computed in %.1f s, %d from the cache", plural.Count(report.Computed, "photograph"),
		report.Seconds, len(items)-report.Computed)
	return cache, nil
}

// prefixBody is the frozen prefix as activations sees it.
type prefixBody struct {
	session *onnx.Session
	size    int64
	cut     string
	row     artifacts.Named
	fed     *fed
}

var _ activations.Device = (*prefixBody)(nil)

func (s *Setup) openPrefixModel(path string, row artifacts.Named) (*prefixBody, error) {
	m, err := graph.Read(path)
	if err != nil {
		return nil, err
	}
	cut := m.Graph.Output[0].GetName()
	session, err := onnx.OpenFile(path, []string{m.Inputs()[0].Name}, []string{cut}, s.Config.Machine.Session())
	if err != nil {
		return nil, err
	}
	key := s.Key(PrefixView)
	return &prefixBody{session: session, size: int64(key.Size), cut: cut, row: row,
		fed: newFed(session, s.Config.Machine, s.Preprocess.Len(), row.Len(), key.Body, cut, key.View)}, nil
}

// Features implements activations.Body.
func (b *prefixBody) Features() int { return b.row.Len() }

// Run implements activations.Body.
func (b *prefixBody) Run(ctx context.Context, images []float32, n int, rows []float32) error {
	return runRows(ctx, b.session, images, n, b.size, rows, b.row.Shape...)
}
