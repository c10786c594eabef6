#!/usr/bin/env bash
# One database in two regions and a witness. Installs, or upgrades; repeatable.
#
#   k8s/overlays/multi-region/install.sh [ARGUMENTS OF helm upgrade...]
#
# for example   install.sh --values k8s/overlays/multi-region/small.yaml --set image.tag=test
# See regions.sh for what it takes from the environment. SECONDS_MAX: how long to wait for pods (300).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR source=regions.sh
source "$here/regions.sh"
chart=$(cd "$here/../../../helm/tausql" && pwd)

"$here/prepare.sh"

for region in "${regions[@]}"; do
    context=$(option "$region" context)
    zones=$(option "$region" zones)
    where=(--values "$here/$region-nodes.yaml")
    [ -z "$zones" ] || where=(--set "placement.zones={$zones}")
    # No --wait: a region alone has no majority, and would wait for the others in vain.
    "${helm[@]}" upgrade --install "tausql-$region" "$chart" ${context:+--kube-context "$context"} \
        --namespace "tausql-$region" --values "$here/database.yaml" --values "$here/$region.yaml" "${where[@]}" "$@"
done

for region in "${regions[@]}"; do
    in_region "$region" get deployments,statefulsets --selector "app.kubernetes.io/instance=tausql-$region" \
        --output name | while read -r workload; do
        in_region "$region" rollout status "$workload" --timeout "${SECONDS_MAX:-300}s" </dev/null
    done
done

cat <<END

One database, two endpoints:
  tausql-east-frontend.tausql-east.svc:5432
  tausql-west-frontend.tausql-west.svc:5432
What a shell needs for a session, after \`kubectl port-forward\` of service/tausql-east-frontend and of -api:
  eval "\$(kubectl --namespace tausql-east exec deployment/tausql-east-control -- python -m tausql.local.command env)"
END
