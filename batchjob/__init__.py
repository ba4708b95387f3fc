"""batchjob keeps an OpenSearch index in step with documents in S3."""
