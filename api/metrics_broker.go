package api

import "github.com/prometheus/client_golang/prometheus"

type brokerMetrics struct {
	followed, listeners prometheus.Gauge
	sent, unreadable    *prometheus.CounterVec
	hooks               *prometheus.CounterVec
}

func newBrokerMetrics(r prometheus.Registerer) (*brokerMetrics, error) {
	m := &brokerMetrics{
		followed:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "gateway_topics_followed", Help: "Topics that somebody listens to."}),
		listeners: prometheus.NewGauge(prometheus.GaugeOpts{Name: "gateway_topic_listeners", Help: "Listeners to topics."}),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_topic_events_sent_total", Help: "Events that were sent to listeners, each of them counted.",
		}, []string{"topic"}),
		unreadable: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_topic_events_unreadable_total", Help: "Events that were passed over because they are not what their contract says.",
		}, []string{"topic"}),
		hooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gateway_hook_requests_total", Help: "Webhooks that came in, by their hook and by the reason of their refusal, or ok.",
		}, []string{"hook", "result"}),
	}
	for _, c := range []prometheus.Collector{m.followed, m.listeners, m.sent, m.unreadable, m.hooks} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
