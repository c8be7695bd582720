"""Games: the rules, one file each. The table names modules as text, so that listing them imports nothing."""

TASKS = {  # name: (module:class, one line)
    "manitokan": (
        "comity.environments.manitokan:Manitokan",
        "one key, a door each, gifts that their receiver cannot see (hidden gifts)",
    ),
}
