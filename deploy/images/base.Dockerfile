# What BASE is where no registry is reachable: Debian by mmdebstrap, Node from its npm package. `npm run images` makes both files.
FROM scratch
ADD rootfs.tar /
COPY node /usr/local/bin/node
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
CMD ["sleep", "infinity"]
