package rpc

// MayHedge says whether a call of the service may be asked of a second instance, while the first doesn't answer, and takes that from the
// retry budget. It is false for a service of this process, which is called directly, and for one that has a single instance.
func (c *Client) MayHedge(service string) bool {
	if l := c.c.Local; l != nil {
		if servers := l.servers.Load(); servers != nil && (*servers)[service] != nil {
			return false
		}
	}
	t, err := c.target(service)
	if err != nil || t.alone(c.defaults.Load()) {
		return false
	}
	return t.budget.withdraw()
}
