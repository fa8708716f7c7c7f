# On top of agent.hcl: one server that elects itself and keeps its data. For a real cluster run three or five, with bootstrap_expect = 3
# and retry_join = ["..."].

server           = true
bootstrap_expect = 1

# Relative to the folder the agent is started in, so consul/data with `go -C consul`; git ignores it.
data_dir = "data"

performance {
  # 1 is as fast as it gets: a leader that is gone is replaced within seconds.
  raft_multiplier = 1
}
