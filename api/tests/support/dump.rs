//! Everything that the database holds, searched for what must not be there in clear.

use sqlx::{PgPool, Row};

use super::World;

impl World {
    /// The tables of the tenant's schema in which one of these words stands: as text, or as the bytes of a text.
    pub async fn tables_with(&self, words: &[&str]) -> Vec<String> {
        let pool = PgPool::connect_with(self.database.owner_options.clone()).await.unwrap();
        let tables = sqlx::query("select tablename from pg_tables where schemaname = 'main' order by tablename")
            .fetch_all(&pool)
            .await
            .unwrap();
        let patterns: Vec<String> =
            words.iter().flat_map(|word| [format!("%{word}%"), format!("%{}%", hex::encode(word))]).collect();
        let mut found = Vec::new();
        for table in tables {
            let table: String = table.get("tablename");
            let query = format!("select count(*) as hits from main.\"{table}\" t where t::text ilike any($1)");
            let hits = sqlx::query(&query).bind(&patterns).fetch_one(&pool).await.unwrap();
            if hits.get::<i64, _>("hits") > 0 {
                found.push(table);
            }
        }
        pool.close().await;
        found
    }
}
