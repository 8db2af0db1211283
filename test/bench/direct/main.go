// Direct drives sandboxes without HTTP and Redis.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"sort"
	"sync"
	"time"

	"github.com/alecthomas/kong"

	"cellblock/internal/nsjail"
)

func main() {
	n := flag.Int("n", 1000, "")
	d := flag.Int("d", 2, "")
	ready := flag.Int("ready", 4, "")
	src := flag.String("src", "pd", "")
	flag.Parse()
	var cli struct {
		nsjail.Settings `embed:""`
	}
	k, _ := kong.New(&cli)
	k.Parse(nil)
	ctx := context.Background()
	host, err := nsjail.Open(ctx, cli.Settings)
	if err != nil {
		panic(err)
	}
	m := nsjail.NewMaker(ctx, host, *ready, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	script := map[string]string{"pd": "def main():\n    import numpy as np\n    import pandas as pd\n    print('Processing data...')\n    data = np.array([1, 2, 3, 4, 5])\n    return {'mean': float(np.mean(data)), 'sum': int(np.sum(data))}\n", "one": "def main(): return 1\n"}[*src]
	var mu sync.Mutex
	var lat, runs, cpus []float64
	var wg sync.WaitGroup
	c0 := cpu()
	t0 := time.Now()
	for range *d {
		wg.Go(func() {
			for range *n / *d {
				t := time.Now()
				s, err := m.Acquire(ctx, script)
				if err != nil {
					panic(err)
				}
				o := s.Run(ctx, script)
				if o.Failure != nil {
					panic(fmt.Sprint(*o.Failure))
				}
				mu.Lock()
				lat = append(lat, time.Since(t).Seconds()*1000)
				runs = append(runs, o.Usage.RunMS)
				cpus = append(cpus, *o.Usage.CPUMS)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	el := time.Since(t0).Seconds()
	for _, l := range [][]float64{lat, runs, cpus} {
		sort.Float64s(l)
	}
	q := func(l []float64, p float64) float64 { return l[int(float64(len(l)-1)*p)] }
	fmt.Printf("%s d=%d: %.0f jobs/s; take+run p50 %.2f p99 %.2f ms; run p50 %.2f; job cpu p50 %.2f; machine cpu/job %.2f ms\n", *src, *d, float64(len(lat))/el, q(lat, .5), q(lat, .99), q(runs, .5), q(cpus, .5), (cpu()-c0)/float64(len(lat))*1000)
	m.Close()
	host.Close()
}

func cpu() float64 {
	b, _ := os.ReadFile("/proc/stat")
	var u, n, s, i, w, hi, si float64
	fmt.Sscanf(string(b), "cpu %f %f %f %f %f %f %f", &u, &n, &s, &i, &w, &hi, &si)
	return (u + n + s + hi + si) / 100
}
