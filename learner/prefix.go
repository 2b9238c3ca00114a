package learner

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"finetune/activations"
	"finetune/dataset"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/onnx"
	"finetune/onnx/artifacts"
	"finetune/onnx/graph"
)

// prefixView names, in the cache's key, the centre view as it leaves the frozen
// layers of a network that trains, as a map, not pooled.
const prefixView = "centre, frozen prefix"

// cutPrefix lets the network begin behind its frozen layers, where what they
// make of a photograph is always the same and can be kept: without augmentation,
// if one tensor leaves them and the disk has room for it. Otherwise it says why
// not, and they run at each step.
func (l *Learner) cutPrefix(o *artifacts.Options, photographs int) error {
	if o.FreezeTo == 0 || l.Config.Images.Augment != "none" {
		return nil
	}
	var trainable []string
	for _, g := range o.Groups[min(o.FreezeTo, len(o.Groups)):] {
		trainable = append(trainable, g.Parameters...)
	}
	tensors, err := o.Body.Frontiers(trainable)
	if err != nil {
		return err
	}
	if len(tensors) != 1 || tensors[0] == o.Body.Inputs()[0].Name {
		l.ui.Say("prefix     not cached: %d tensors leave the frozen layers; they run at each step", len(tensors))
		return nil
	}
	prefix, err := o.Body.CutAt(tensors[0])
	if err != nil {
		return err
	}
	size := int64(l.Config.Images.Size)
	shapes, err := prefix.Shapes(map[string][]int64{prefix.Inputs()[0].Name: {-1, 3, size, size}})
	if err != nil {
		return err
	}
	row := artifacts.Named{Name: tensors[0]}
	if s := shapes[tensors[0]]; len(s) > 1 {
		row.Shape = s[1:]
	}
	if elem := prefix.Graph.Output[0].GetType().GetTensorType().GetElemType(); elem != graph.Float32 || row.Len() < 2 {
		l.ui.Say("prefix     not cached: %q, which leaves the frozen layers, has shape %v and is no map of float32; they run at each step", row.Name, row.Shape)
		return nil
	}
	bytes := 4 * int64(row.Len())
	l.ui.Say("prefix     %s %v of %d photographs, %.1f kB each, %.0f MB in all, cached", row.Name, row.Shape, photographs, float64(bytes)/1e3, float64(bytes)*float64(photographs)/1e6)
	if err := durable.Room(l.Config.Machine.Cache, bytes*int64(photographs)*5/4); err != nil { // a quarter for merging shards
		l.ui.Warn("prefix not cached: %s; the frozen layers run at each step", err)
		return nil
	}
	if o.Body, err = o.Body.After(row.Name, row.Shape); err != nil {
		return err
	}
	o.Prefix, o.Row = prefix, row.Shape
	return nil
}

// openPrefix returns the cache of what the artifacts' prefix makes of items,
// filled; nil if they have none. Owned by the caller: the cache, freed by Close.
func (l *Learner) openPrefix(ctx context.Context, dir string, m artifacts.Manifest, items []dataset.Item) (*activations.Cache, error) {
	if m.Row == nil {
		return nil, nil
	}
	body, err := l.openPrefixModel(filepath.Join(dir, artifacts.PrefixFile), m.Input())
	if err != nil {
		return nil, err
	}
	defer body.session.Close()
	key := l.key(prefixView)
	key.Cut = body.cut
	if l.Recompute {
		if err := activations.Drop(l.Config.Machine.Cache, key, body.Features()); err != nil {
			return nil, err
		}
	}
	cache, err := activations.Open(l.Config.Machine.Cache, key, body.Features())
	if err != nil {
		return nil, err
	}
	show, end := l.ui.Progress("prefix", "images")
	report, err := cache.Fill(ctx, items, body, l.loader(ctx, nil), l.fillOptions(show))
	end()
	if err == nil && len(report.Skipped) > 0 {
		err = gone(dataset.Item{File: report.Skipped[0].File}, errors.New(report.Skipped[0].Reason))
	}
	if err != nil {
		return nil, errors.Join(err, cache.Close())
	}
	l.ui.Say("prefix     %d photographs computed in %.1f s, %d from the cache", report.Computed, report.Seconds, len(items)-report.Computed)
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

func (l *Learner) openPrefixModel(path string, row artifacts.Named) (*prefixBody, error) {
	m, err := graph.Read(path)
	if err != nil {
		return nil, err
	}
	cut := m.Graph.Output[0].GetName()
	s, err := onnx.OpenFile(path, []string{m.Inputs()[0].Name}, []string{cut}, l.Config.Machine.session())
	if err != nil {
		return nil, err
	}
	key := l.key(prefixView)
	return &prefixBody{session: s, size: int64(key.Size), cut: cut, row: row,
		fed: newFed(s, l.Config.Machine, l.pre.Len(), row.Len(), key.Body, cut, key.View)}, nil
}

// Features implements activations.Body.
func (b *prefixBody) Features() int { return b.row.Len() }

// Run implements activations.Body.
func (b *prefixBody) Run(ctx context.Context, images []float32, n int, rows []float32) error {
	return runRows(ctx, b.session, images, n, b.size, rows, b.row.Shape...)
}

// cached returns the rows that the prefix made of items.
func (p *photoLoader) cached(items []dataset.Item) ([]float32, error) {
	rows, ok := p.prefix.Rows(items)
	for i, it := range items {
		if !ok[i] {
			return nil, failure.Data(fmt.Errorf("learner: %s: its row is gone from the cache; add --resume", it.File))
		}
	}
	return rows, nil
}
