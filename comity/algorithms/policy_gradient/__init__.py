"""Policy gradients with a critic of values, of actions, or of joint actions."""
