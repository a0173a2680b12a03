# The cable between the two clouds: nothing else of the lab uses these. Source it.
FIRST_ADDRESS=10.88.0.1
SECOND_ADDRESS=10.88.0.2
