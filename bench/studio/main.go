// Command studio labels a data set as a person would, through the page's own HTTP interface, and knows all answers:
// names of class folders. It prints the accuracy on DATA/valid after so many labels, over several draws, and how long
// answers and learning took.
//
//	go run ./bench/studio -finetune bin/finetune -draws 5 ~/.cache/finetune/data/solar-cells
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var (
	program = flag.String("finetune", "bin/finetune", "the program")
	draws   = flag.Int("draws", 5, "seeds")
	most    = flag.Int("labels", 400, "labels a draw")
	ahead   = flag.Int("ahead", 3, "photographs that are asked for before the one at hand is labelled, as the page does")
	at      = []int{20, 40, 100, 200, 400, 1000}
)

func main() {
	flag.Parse()
	if flag.NArg() != 1 {
		log.Fatal("give DATA with valid/CLASS and train/CLASS")
	}
	reached := map[int][]float64{}
	var answers, learns []time.Duration
	for seed := range *draws {
		d, err := draw(flag.Arg(0), seed+1)
		if err != nil {
			log.Fatal(err)
		}
		for _, n := range at {
			if v, ok := d.accuracy[n]; ok {
				reached[n] = append(reached[n], v)
				fmt.Printf("draw %d, %d labels: %.3f\n", seed+1, n, v)
			}
		}
		answers, learns = append(answers, d.answers...), append(learns, d.learns...)
	}
	for _, n := range at {
		if list := reached[n]; len(list) > 0 {
			sum := 0.
			for _, v := range list {
				sum += v
			}
			fmt.Printf("%4d labels: mean %.3f, least %.3f, most %.3f of %d draws\n", n, sum/float64(len(list)),
				slices.Min(list), slices.Max(list), len(list))
		}
	}
	quantiles("label sent to next photographs known", answers)
	quantiles("label sent to head that knows it", learns)
}

func quantiles(what string, d []time.Duration) {
	if slices.Sort(d); len(d) > 0 {
		fmt.Printf("%s: median %v, 95 %% %v\n", what, d[len(d)/2].Round(time.Millisecond),
			d[len(d)*95/100].Round(time.Millisecond))
	}
}

type result struct {
	accuracy        map[int]float64
	answers, learns []time.Duration
}

type state struct {
	Version                  int64
	Ready, Current           bool
	Failed                   string
	Labels, Held, Learned    int
	Accuracy                 *struct{ Value float64 }
	Photographs, Left, Total int
}

type photo struct{ ID, Path, Source, Why string }

// draw labels with one seed.
func draw(data string, seed int) (*result, error) {
	folder, err := os.MkdirTemp("", "finetune-bench-studio-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	if err := held(data, filepath.Join(folder, "labels.csv")); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	c := exec.CommandContext(ctx, *program, "studio", data, "--unlabelled", "-o", folder, "--no-open", "--json", "--quiet",
		"--seed", strconv.Itoa(seed))
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	defer func() { stop(); _ = c.Wait() }()
	var told struct{ Address string }
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&told); err != nil {
		return nil, err
	}
	p, err := open(told.Address)
	if err != nil {
		return nil, err
	}
	return p.label()
}

// held writes the labels of DATA/valid, which the studio measures by.
func held(data, file string) error {
	var b bytes.Buffer
	b.WriteString("path,label,who,when,source\n")
	names, err := filepath.Glob(filepath.Join(data, "valid", "*", "*"))
	if err != nil || len(names) == 0 {
		return fmt.Errorf("%s/valid: no photographs (%v)", data, err)
	}
	for _, name := range names {
		class := filepath.Base(filepath.Dir(name))
		fmt.Fprintf(&b, "valid/%s/%s,%s,bench,2026-01-01T00:00:00.000Z,valid\n", class, filepath.Base(name), class)
	}
	return os.WriteFile(file, b.Bytes(), 0o666)
}

// page is a client that does what the page does.
type page struct {
	base   string
	client *http.Client
}

func open(address string) (*page, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	p := &page{"http://" + u.Host, &http.Client{Jar: jar}}
	_, err = p.ask(strings.TrimPrefix(address, p.base), nil)
	return p, err
}

func (p *page) ask(at string, body any) ([]byte, error) {
	r, err := http.NewRequest("GET", p.base+at, nil)
	if body != nil {
		data, e := json.Marshal(body)
		if e != nil {
			return nil, e
		}
		if r, err = http.NewRequest("POST", p.base+at, bytes.NewReader(data)); err == nil {
			r.Header.Set("Content-Type", "application/json")
		}
	}
	if err != nil {
		return nil, err
	}
	a, err := p.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer a.Body.Close()
	data, err := io.ReadAll(a.Body)
	if err == nil && a.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", at, a.StatusCode, data)
	}
	return data, err
}

func (p *page) state(seen int64) (s state, err error) {
	data, err := p.ask("/api/state?seen="+strconv.FormatInt(seen, 10), nil)
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err == nil && s.Failed != "" {
		err = fmt.Errorf("%s", s.Failed)
	}
	return s, err
}

func (p *page) label() (*result, error) {
	s, err := p.state(-1)
	for err == nil && !s.Ready {
		s, err = p.state(-1)
	}
	if err != nil {
		return nil, err
	}
	d := &result{accuracy: map[int]float64{}}
	var queue []photo
	for n := 1; n <= *most; n++ {
		sent := time.Now()
		if queue, err = p.fill(queue); err != nil {
			return nil, err
		}
		if len(queue) == 0 {
			return nil, fmt.Errorf("nothing is asked about after %d labels", n)
		}
		if n > 1 {
			d.answers = append(d.answers, time.Since(sent))
		}
		a := queue[0]
		queue = queue[1:]
		sent = time.Now()
		data, err := p.ask("/api/label", map[string]any{"ids": []string{a.ID}, "source": a.Source,
			"labels": []string{path.Base(path.Dir(a.Path))}})
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(data, &s); err != nil {
			return nil, err
		}
		for !s.Current {
			if s, err = p.state(s.Version); err != nil {
				return nil, err
			}
		}
		d.learns = append(d.learns, time.Since(sent))
		if slices.Contains(at, n) && s.Accuracy != nil {
			d.accuracy[n] = s.Accuracy.Value
		}
	}
	return d, nil
}

// fill keeps as many photographs ahead as the page does.
func (p *page) fill(queue []photo) ([]photo, error) {
	var not []string
	for _, a := range queue {
		not = append(not, a.ID)
	}
	data, err := p.ask(fmt.Sprintf("/api/next?n=%d&not=%s", *ahead+1-len(queue), strings.Join(not, ",")), nil)
	if err != nil {
		return nil, err
	}
	var more []photo
	err = json.Unmarshal(data, &more)
	return append(queue, more...), err
}
