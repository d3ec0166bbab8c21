select bench.view_refresh(true)
