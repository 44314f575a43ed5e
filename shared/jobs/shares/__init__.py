"""How nodes and threads are shared among jobs: their standings, the shares that follow, the threads."""
