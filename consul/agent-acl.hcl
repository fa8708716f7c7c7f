# On top of agent.hcl: nobody may do anything without a token, and no module may call another without an intention. See docs/mesh.md.
#
#   make consul-mesh                                     a throw-away agent with both
#   cleave up --registry consul --mesh                   makes the tokens and the intentions, the first time, and runs

acl {
  enabled        = true
  default_policy = "deny"

  # What bootstrap gives the agent, its own token, is kept in its data folder.
  enable_token_persistence = true
}

connect {
  enabled = true
}

# Said apart from the ACLs' default, which a token that may do everything doesn't see.
default_intention_policy = "deny"
