select count(*) from app.follows f where f.followed_id = 1;
