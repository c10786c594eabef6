"""boto3 `rds-data` and aurora-data-api on top of it."""

from __future__ import annotations

import os

import aurora_data_api
import boto3

dsql = boto3.client("dsql")
arn = next(
    dsql.get_cluster(identifier=one["identifier"])["arn"]
    for one in dsql.list_clusters()["clusters"]
    if os.environ["CLUSTER_ENDPOINT"].startswith(one["identifier"])
)
secret = "arn:aws:secretsmanager:us-east-1:000000000000:secret:none"
client = boto3.client("rds-data")
where = {"resourceArn": arn, "secretArn": secret, "database": "postgres"}

client.execute_statement(**where, sql="DROP TABLE IF EXISTS data_api")
client.execute_statement(**where, sql="CREATE TABLE data_api (id bigint PRIMARY KEY, name text, price numeric(10,2))")
begun = client.begin_transaction(**where)["transactionId"]
told = client.execute_statement(
    **where,
    transactionId=begun,
    sql="INSERT INTO data_api VALUES (:id, :name, :price)",
    parameters=[
        {"name": "id", "value": {"longValue": 1}},
        {"name": "name", "value": {"stringValue": "one"}},
        {"name": "price", "value": {"stringValue": "1.50"}, "typeHint": "DECIMAL"},
    ],
)
assert told["numberOfRecordsUpdated"] == 1
client.commit_transaction(resourceArn=arn, secretArn=secret, transactionId=begun)
client.batch_execute_statement(
    **where,
    sql="INSERT INTO data_api (id, name) VALUES (:id, :name)",
    parameterSets=[
        [{"name": "id", "value": {"longValue": number}}, {"name": "name", "value": {"isNull": True}}]
        for number in (2, 3)
    ],
)
rows = client.execute_statement(
    **where, sql="SELECT id, name, price FROM data_api ORDER BY id", includeResultMetadata=True
)
assert [column["name"] for column in rows["columnMetadata"]] == ["id", "name", "price"]
assert rows["records"][0] == [{"longValue": 1}, {"stringValue": "one"}, {"stringValue": "1.50"}], rows["records"][0]
assert rows["records"][2][1] == {"isNull": True}
undone = client.begin_transaction(**where)["transactionId"]
client.execute_statement(**where, transactionId=undone, sql="DELETE FROM data_api")
client.rollback_transaction(resourceArn=arn, secretArn=secret, transactionId=undone)
try:
    client.execute_statement(**where, sql="SELECT nonsense")
except client.exceptions.ClientError as error:
    assert "nonsense" in str(error)
else:
    raise AssertionError("nonsense was accepted")

with aurora_data_api.connect(aurora_cluster_arn=arn, secret_arn=secret, database="postgres") as connection:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM data_api WHERE id >= :least ORDER BY id", {"least": 2})
        assert [row[0] for row in cursor.fetchall()] == [2, 3]
        cursor.execute("UPDATE data_api SET name = :name WHERE id = 3", {"name": "three"})
    connection.commit()
client.execute_statement(**where, sql="DROP TABLE data_api")
print("data api: fine")
