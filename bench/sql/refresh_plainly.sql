select bench.view_refresh(false)
