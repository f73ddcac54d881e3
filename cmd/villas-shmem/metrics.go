// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/villas-ext/villas-ext/node"
)

// serveMetrics serves what the statistics, the node and its region tell, at the address,
// until stop is called.
func serveMetrics(address string, n *node.Node, s *statistics, log *slog.Logger) (stop func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(n, s))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError)}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go server.Serve(listener)
	log.Info("metrics", "url", fmt.Sprintf("http://%v/metrics", listener.Addr()))
	return func() { server.Close() }, nil
}

// A collector turns the statistics of one region into metrics when it is asked.
type collector struct {
	node  *node.Node
	stats *statistics

	samples, dropped, late, lost, malformed, programs, latency *prometheus.Desc
	fill, cells, free, blocks                                  *prometheus.Desc
}

func newCollector(n *node.Node, s *statistics) *collector {
	desc := func(metric, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("villas_shmem_"+metric, help, labels, prometheus.Labels{"region": n.Name()})
	}
	return &collector{
		node: n, stats: s,
		samples:   desc("samples_total", "Samples that were sent to the program and received from it.", "direction"),
		dropped:   desc("dropped_total", "Samples that were not sent because the queue was full."),
		late:      desc("late_total", "Samples that came back after the deadline."),
		lost:      desc("missing", "Samples sent that have not come back."),
		malformed: desc("malformed_total", "Malformed lines of the input."),
		programs:  desc("programs_total", "Programs that attached, and that stopped or died since.", "event"),
		latency:   desc("latency_seconds", "Time from the node to the program and back."),
		fill:      desc("queue_fill", "Samples that wait in the queue.", "direction"),
		cells:     desc("queue_capacity", "Samples that the queue has room for.", "direction"),
		free:      desc("pool_free", "Free samples in the pool."),
		blocks:    desc("pool_capacity", "Samples in the pool."),
	}
}

func (c *collector) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, to) }

// buckets are the upper bounds of the latency histogram in seconds.
var buckets = []float64{
	1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1, 2, 5, 10,
}

func (c *collector) Collect(to chan<- prometheus.Metric) {
	metric := func(d *prometheus.Desc, t prometheus.ValueType, v uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, t, float64(v), labels...)
	}
	s := c.stats
	metric(c.samples, prometheus.CounterValue, s.sent.Load(), "sent")
	metric(c.samples, prometheus.CounterValue, s.received.Load(), "received")
	metric(c.dropped, prometheus.CounterValue, s.dropped.Load())
	metric(c.late, prometheus.CounterValue, s.late.Load())
	metric(c.lost, prometheus.GaugeValue, s.missing())
	metric(c.malformed, prometheus.CounterValue, s.malformed.Load())
	events := c.node.Stats()
	metric(c.programs, prometheus.CounterValue, events.Attached, "attached")
	metric(c.programs, prometheus.CounterValue, events.Stopped, "stopped")
	metric(c.programs, prometheus.CounterValue, events.Died, "died")
	to <- s.histogram(c.latency)
	p, err := lookOnce(c.node.Name())
	if err != nil {
		return
	}
	for _, d := range p.directions {
		metric(c.fill, prometheus.GaugeValue, d.used, d.label)
		metric(c.cells, prometheus.GaugeValue, d.capacity, d.label)
	}
	metric(c.free, prometheus.GaugeValue, p.pool.capacity-p.pool.used)
	metric(c.blocks, prometheus.GaugeValue, p.pool.capacity)
}

// histogram is the latency so far.
func (s *statistics) histogram(d *prometheus.Desc) prometheus.Metric {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts, below, i := map[float64]uint64{}, uint64(0), 0
	for _, bar := range s.latency.Distribution() {
		at := float64(bar.To) / 1e9
		for ; i < len(buckets) && buckets[i] < at; i++ {
			counts[buckets[i]] = below
		}
		below += uint64(bar.Count)
	}
	for ; i < len(buckets); i++ {
		counts[buckets[i]] = below
	}
	return prometheus.MustNewConstHistogram(d, below, s.latency.Mean()/1e9*float64(below), counts)
}
