# The cable between the lab's cloud and another one: nothing else of the lab uses these. Source it.
case $(basename "$LAB") in
    today) CABLE=today FIRST_ADDRESS=10.88.0.5 SECOND_ADDRESS=10.88.0.6 ;;
    *) CABLE=second FIRST_ADDRESS=10.88.0.1 SECOND_ADDRESS=10.88.0.2 ;;
esac
