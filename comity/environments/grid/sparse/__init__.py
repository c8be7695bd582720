"""Grid games with sparse rewards: two agents must act together for many steps before they earn anything."""
