ARG NODE_IMAGE=node:26-slim

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# The optional packages bring Node itself to machines without it; the image has it.
RUN npm ci --omit=dev --omit=optional

FROM ${NODE_IMAGE}
WORKDIR /app
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    NODE_COMPILE_CACHE=/app/.compile-cache
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json ./
COPY src ./src
COPY plugins ./plugins
COPY providers ./providers
# Where SQLite keeps its file; a volume that is mounted here for the first time gets this owner.
RUN install -d -o node -g node -m 0700 data
RUN install -d -o node -g node .compile-cache
USER node
# Loads what the service and its threads load, the former as far as its first wrong setting: otherwise
# each thread would bring up the compiler that takes the types away, 20 MB of memory at every start.
RUN node -e "for (const file of ['dispatch/worker', 'store/sqlite-worker']) import('./src/' + file + '.ts')" \
  && ! PORT=none node src/main.ts
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8080}/livez`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Without a shell in between, so that Node is the process that gets SIGTERM.
CMD ["node", "src/main.ts"]
