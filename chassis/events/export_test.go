package events

// RabbitNames lists what a broker of this namespace makes on the server, for a test to remove.
func RabbitNames(ns string, d Delivery, groups, topics []string) (queues, exchanges []string) {
	r := &RabbitMQ{conf: RabbitConfig{Namespace: ns}}
	queues, exchanges = []string{r.deadQueue()}, []string{r.exchange()}
	for _, b := range d.Backoff {
		queues, exchanges = append(queues, r.retryQueue(b)), append(exchanges, r.retryQueue(b))
	}
	for _, g := range groups {
		for _, t := range topics {
			queues = append(queues, r.queue(g, t))
		}
	}
	return queues, exchanges
}
