# Sourced by prepare.sh and install.sh: the regions, and how to reach each.
#
#   HELM, KUBECTL          the clients (helm, kubectl); may be several words
#   EAST_CONTEXT, ...      kubeconfig context of a region, where regions are clusters of their own
#   EAST_ZONES, ...        zones of a region, e.g. `zone-a,zone-b`, where its nodes have no label of their region
# shellcheck shell=bash disable=SC2034  # whoever sources this uses them

full=(east west)
regions=("${full[@]}" witness)
read -ra helm <<<"${HELM:-helm}"
read -ra kubectl <<<"${KUBECTL:-kubectl}"

# option REGION NAME: what the variable <REGION>_<NAME> says
option() {
    local name
    name=$(tr '[:lower:]' '[:upper:]' <<<"$1_$2")
    printf %s "${!name:-}"
}

# in_region REGION ARGUMENTS...: kubectl in the region's namespace
in_region() {
    local region=$1 context
    context=$(option "$region" context)
    shift
    "${kubectl[@]}" ${context:+--context "$context"} --namespace "tausql-$region" "$@"
}
