"""What has to exist in Azure first: made by `up`, undone by `teardown`, both repeatable."""
