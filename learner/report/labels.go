package report

import (
	"fmt"

	"finetune/audit"
	"finetune/plots"
)

// moreLabels is a curve as a figure, and how to read it; nil of none.
func moreLabels(c *audit.LabelCurve) (*plots.MoreLabels, string) {
	if c == nil {
		return nil, ""
	}
	f := &plots.MoreLabels{}
	for _, p := range c.Points {
		f.Labels, f.Accuracy = append(f.Labels, p.Labels), append(f.Accuracy, p.Accuracy)
		f.Low, f.High = append(f.Low, p.Low), append(f.High, p.High)
	}
	note := fmt.Sprintf("Ridge regression on the features, not the trained head, with labels drawn at random, on %s "+
		"validation photographs.", plots.Count(c.Valid))
	between := fmt.Sprintf("%+.1f and %+.1f points", 100*c.Low, 100*c.High)
	switch {
	case c.More == 0:
		f.Finding = fmt.Sprintf("Accuracy of up to %s labels", plots.Count(c.Points[len(c.Points)-1].Labels))
		note += fmt.Sprintf(" What more than the %s labels would give is too far from these to be told.",
			plots.Count(c.Labels))
	case !c.Told():
		f.Finding = fmt.Sprintf("%s more labels: cannot be told", plots.Count(c.More))
		note += fmt.Sprintf(" By power laws %s more would change the accuracy by between %s: that may be nothing.",
			plots.Count(c.More), between)
	default:
		f.Finding = fmt.Sprintf("%s more labels: about %+.1f points", plots.Count(c.More), 100*c.Gain)
		note += fmt.Sprintf(" %s more, drawn as these were, are expected to give between %s (90 %% interval, by power "+
			"laws).", plots.Count(c.More), between)
		here := c.Points[len(c.Points)-1]
		for _, n := range []int{c.Labels, c.Labels + c.More/4, c.Labels + c.More/2, c.Labels + c.More} {
			f.Ahead = append(f.Ahead, n)
			f.Expected = append(f.Expected, here.Accuracy+c.Gain*share(c, n))
		}
	}
	return f, note
}

// share is how much of the gain n labels give, by the law.
func share(c *audit.LabelCurve, n int) float64 {
	from, to := c.Law.Errors(c.Labels), c.Law.Errors(c.Labels+c.More)
	if from <= to {
		return float64(n-c.Labels) / float64(c.More)
	}
	return (from - c.Law.Errors(n)) / (from - to)
}
