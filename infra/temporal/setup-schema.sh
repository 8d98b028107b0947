#!/bin/sh
# Brings Temporal's two databases to the schema of this image's server. Safe to run again: what is there is left as it is.
# Connection: SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD. The roles and the server exist already.
set -eu

bring_up_to_date() {
    database=$1 schema=$2
    temporal-sql-tool --db "$database" create
    temporal-sql-tool --db "$database" setup-schema -v 0.0
    temporal-sql-tool --db "$database" update-schema --schema-name "$schema"
}

bring_up_to_date temporal postgresql/v12/temporal
bring_up_to_date temporal_visibility postgresql/v12/visibility
